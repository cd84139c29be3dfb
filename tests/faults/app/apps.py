from django.apps import AppConfig
from django.conf import settings


class FaultsConfig(AppConfig):
    name = "tests.faults.app"
    label = "faults"

    def ready(self) -> None:
        from jobs.supervise import supervisor

        # a test that kills hundreds of times cannot wait half a minute for each new process
        supervisor.LONGEST_BACKOFF = min(supervisor.LONGEST_BACKOFF, settings.RESTART_PAUSE)
