"""What may be asked of a queue and its connections: the calls of a host, of the routes and of the pages alike.

Each call answers within two seconds, in one way whatever is away. It knows no HTTP and no worker.
"""

from bankimport.service.audit import Audit
from bankimport.service.bounds import Bounds
from bankimport.service.connections import Connections
from bankimport.service.erasing import Erasures
from bankimport.service.jobs import Jobs
from bankimport.service.subscription import Subscription
from bankimport.service.syncs import Syncs
from bankimport.service.told import Told
from bankimport.service.views import ConnectionViews
from bankimport.service.webhooks import Webhooks
from bankimport.service.whole_queue import WholeQueue


class Service(Syncs, Jobs, ConnectionViews, WholeQueue, Told, Erasures):
    """All calls; `bankimport.BankImport` is one that can also be started, mounted and worked for."""


__all__ = ["Audit", "Bounds", "Connections", "Service", "Subscription", "Webhooks"]
