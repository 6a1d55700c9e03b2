"""What a host gets wrong has to fail `mypy --strict`: each marked line with the error that it names. Never run."""

# ruff: noqa: F401
import bankimport
from bankimport import BankImport, JobStatusses, Settings  # wrong: attr-defined
from bankimport.providers import BerlinGroupOptions, EnableBankingOptions, GoCardles  # wrong: attr-defined
from bankimport.stores import SqlStor  # wrong: attr-defined
from bankimport.testing import FakeBnak  # wrong: attr-defined

Settings(redis_hots="localhost")  # wrong: call-arg
Settings(redis_port="6379")  # wrong: arg-type
Settings(log_level="LOUD")  # wrong: arg-type
print(bankimport.BankImprot)  # wrong: attr-defined
BerlinGroupOptions(base_url="https://bank.example", ignore_id=True)  # wrong: call-arg
BerlinGroupOptions(base_url="https://bank.example", dialect="0.9")  # wrong: arg-type
EnableBankingOptions(private_key_file="key.pem")  # wrong: call-arg
bank_import = BankImport.from_env()
bank_import.schedule_imediate_sync("giro")  # wrong: attr-defined
bank_import.web_app()  # wrong: call-arg
bank_import.web_app(authorize=lambda request, action, org_id: True)  # wrong: arg-type, return-value
bank_import.web_app(authorize=None)  # wrong: arg-type
bank_import.on("bank.sync.completed", None)  # wrong: arg-type
bank_import.connections.ad(org_id="acme")  # wrong: attr-defined


async def main() -> None:
    """Call with the wrong arguments."""
    await bank_import.schedule_immediate_sync(connection="giro")  # wrong: call-arg
    await bank_import.schedule_immediate_sync("giro", start_date="2026-01-01")  # wrong: arg-type
    await bank_import.schedule_immediate_sync("giro", True)  # wrong: call-arg, misc
    await bank_import.list_jobs("acme", state="fialed")  # wrong: arg-type
    status = await bank_import.get_job_status("job")
    print(status.state)  # wrong: union-attr
    await bank_import.connections.add(bank="bank")  # wrong: call-arg
