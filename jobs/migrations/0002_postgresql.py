from django.db import migrations, models

# The server's default lets dead rows pile up to a fifth of a table; these tables change with every job.
_SETTINGS = (
    "autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0, "
    "autovacuum_analyze_scale_factor = 0.02"
)
# few rows, changed in place: room for the next version on the same page
_IN_PLACE = "fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500"
_TABLES = {
    "jobs_job": _SETTINGS,
    "jobs_attempt": _SETTINGS,
    "jobs_queuestat": _IN_PLACE,
    "jobs_queuestate": _IN_PLACE,
    "jobs_worker": _IN_PLACE,
}


def set_storage(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for table, settings in _TABLES.items():
            schema_editor.execute(f"ALTER TABLE {table} SET ({settings})")


class Migration(migrations.Migration):
    dependencies = [("jobs", "0001_initial")]

    operations = [
        migrations.RemoveConstraint("queuestat", "jobs_stat_hour"),
        migrations.AddField("queuestat", "part", models.PositiveSmallIntegerField(default=0)),
        migrations.AddConstraint(
            "queuestat",
            models.UniqueConstraint(fields=("queue", "hour", "part"), name="jobs_stat_hour"),
        ),
        migrations.RunPython(set_storage, migrations.RunPython.noop, elidable=False),
    ]
