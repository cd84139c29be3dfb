"""What the tasks of the fault tests change."""

from django.db import models


class Counter(models.Model):
    """One row that atomic tasks count up."""

    value = models.IntegerField(default=0)

    def __str__(self) -> str:
        return str(self.value)


class Sale(models.Model):
    """A business row that commits with its job."""

    job = models.UUIDField()

    def __str__(self) -> str:
        return str(self.job)
