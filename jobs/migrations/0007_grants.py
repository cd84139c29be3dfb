import json
from datetime import UTC, datetime, timedelta

from django.db import migrations, models

# a row comes and goes with every claim of a limited queue: see 0002
_SETTINGS = (
    "autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0"
)


def set_storage(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"ALTER TABLE jobs_grant SET ({_SETTINGS})")


def keep_grants(apps, schema_editor):
    """Grants were a list of [seconds since 1970, number, guard] in the queue's row."""
    alias = schema_editor.connection.alias
    for queue in apps.get_model("jobs", "QueueState").objects.using(alias).exclude(grants="[]"):
        grants = []
        for at, number, guard in json.loads(queue.grants):
            granted_at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=at)
            start_by = granted_at + timedelta(seconds=guard)
            grants.append({"queue": queue.queue, "number": number, "granted_at": granted_at, "start_by": start_by})
        model = apps.get_model("jobs", "Grant")
        model.objects.using(alias).bulk_create([model(**values) for values in grants], batch_size=200)
        queue.taken = sum(values["number"] for values in grants)
        queue.save(using=alias, update_fields=["taken"])


class Migration(migrations.Migration):
    dependencies = [("jobs", "0006_ended")]

    operations = [
        migrations.CreateModel(
            name="Grant",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("queue", models.CharField(max_length=50)),
                ("number", models.IntegerField()),
                ("granted_at", models.DateTimeField()),
                ("start_by", models.DateTimeField()),
            ],
            options={"indexes": [models.Index(fields=["queue", "start_by"], name="jobs_grant_start_by")]},
        ),
        migrations.AddField("queuestate", "taken", models.IntegerField(null=True)),
        migrations.RunPython(keep_grants, migrations.RunPython.noop),
        migrations.RemoveField("queuestate", "grants"),
        migrations.RunPython(set_storage, migrations.RunPython.noop),
    ]
