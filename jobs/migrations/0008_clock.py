from datetime import UTC, datetime

from django.db import migrations, models
from django.db.models.functions import Coalesce, Greatest


def note_jobs_to_come(apps, schema_editor):
    """What a clock that was ahead has left by now is set right by the keeper, too."""
    jobs = apps.get_model("jobs", "Job").objects.using(schema_editor.connection.alias)
    ahead = jobs.filter(state__in=["pending", "queued"], created_at__gt=datetime.now(UTC))
    ahead.update(timed_at=models.F("created_at"))


class Migration(migrations.Migration):
    dependencies = [("jobs", "0007_grants")]

    operations = [
        migrations.CreateModel(
            name="ClockJump",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("noticed_at", models.DateTimeField()),
                ("ahead", models.FloatField()),
                ("jobs", models.IntegerField()),
            ],
        ),
        migrations.AddField("job", "timed_at", models.DateTimeField(blank=True, editable=False, null=True)),
        migrations.AddField("queuestate", "wait_from", models.DateTimeField(editable=False, null=True)),
        migrations.AddField("schedule", "run_from", models.DateTimeField(editable=False, null=True)),
        migrations.AddField("schedule", "run_after", models.DateTimeField(editable=False, null=True)),
        migrations.AddField("schedule", "skip_from", models.DateTimeField(editable=False, null=True)),
        migrations.AddField("schedule", "skip_until", models.DateTimeField(editable=False, null=True)),
        migrations.RunPython(note_jobs_to_come, migrations.RunPython.noop),
        migrations.AddIndex(
            "job",
            models.Index(
                Greatest("created_at", Coalesce("timed_at", "created_at")),
                condition=models.Q(("state__in", ["pending", "queued"])),
                name="jobs_timed",
            ),
        ),
    ]
