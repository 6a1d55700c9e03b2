"""The aiohttp sub-application: routes, problem details, live events. It knows no worker and no arq."""

from bankimport.web.call import allow_all
from bankimport.web.given import Action, Answer, Answers, Authorize, Person
from bankimport.web.idempotency import RedisAnswers
from bankimport.web.routes import web_app
from bankimport.web.users import User

__all__ = [
    "Action",
    "Answer",
    "Answers",
    "Authorize",
    "Person",
    "RedisAnswers",
    "User",
    "allow_all",
    "web_app",
]
