from django.db import migrations, models


def take_over(apps, schema_editor):
    alias = schema_editor.connection.alias
    former, schedules = apps.get_model("jobs", "FormerSchedule"), apps.get_model("jobs", "Schedule")
    kept = ("last_tick", "run_from", "run_after", "skip_from", "skip_until")
    schedules.objects.using(alias).bulk_create(
        schedules(name=row.task, task=row.task, from_code=True, **{name: getattr(row, name) for name in kept})
        for row in former.objects.using(alias).all()
    )


def give_back(apps, schema_editor):
    alias = schema_editor.connection.alias
    former, schedules = apps.get_model("jobs", "FormerSchedule"), apps.get_model("jobs", "Schedule")
    kept = ("last_tick", "run_from", "run_after", "skip_from", "skip_until")
    former.objects.using(alias).bulk_create(
        former(task=row.name, **{name: getattr(row, name) for name in kept})
        for row in schedules.objects.using(alias).filter(from_code=True)
        if row.name == row.task
    )


class Migration(migrations.Migration):
    """A schedule is more than the last tick of a periodic task; what is known of those stays."""

    dependencies = [("jobs", "0022_rule")]

    operations = [
        migrations.RenameModel("Schedule", "FormerSchedule"),
        migrations.CreateModel(
            name="Schedule",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=300, unique=True, verbose_name="name")),
                ("task", models.CharField(max_length=200, verbose_name="task")),
                ("from_code", models.BooleanField(default=False, editable=False, verbose_name="from the code")),
                ("enabled", models.BooleanField(default=True, verbose_name="enabled")),
                (
                    "expression",
                    models.CharField(blank=True, default="", max_length=200, verbose_name="cron expression"),
                ),
                ("seconds", models.PositiveIntegerField(blank=True, null=True, verbose_name="seconds")),
                ("timezone", models.CharField(blank=True, default="", max_length=100, verbose_name="time zone")),
                (
                    "missed",
                    models.CharField(
                        choices=[
                            ("once", "one job for the last of them"),
                            ("skip", "no job"),
                            ("all", "a job for each, 100 at most"),
                        ],
                        default="once",
                        max_length=10,
                        verbose_name="missed ticks",
                    ),
                ),
                (
                    "overlap",
                    models.CharField(
                        choices=[
                            ("allow", "a job in any case"),
                            ("skip", "no job"),
                            ("wait", "one job after that has ended"),
                        ],
                        default="allow",
                        max_length=10,
                        verbose_name="overlap",
                    ),
                ),
                ("jitter", models.FloatField(default=0, verbose_name="jitter (seconds)")),
                ("start", models.DateTimeField(blank=True, null=True, verbose_name="start")),
                ("end", models.DateTimeField(blank=True, null=True, verbose_name="end")),
                ("count", models.PositiveIntegerField(blank=True, null=True, verbose_name="at most so many ticks")),
                ("args", models.JSONField(blank=True, default=list, verbose_name="positional arguments")),
                ("kwargs", models.JSONField(blank=True, default=dict, verbose_name="named arguments")),
                ("gone_at", models.DateTimeField(editable=False, null=True, verbose_name="taken out of the code")),
                ("last_tick", models.DateTimeField(verbose_name="last tick")),
                ("run_from", models.DateTimeField(editable=False, null=True)),
                ("run_after", models.DateTimeField(editable=False, null=True)),
                ("skip_from", models.DateTimeField(editable=False, null=True)),
                ("skip_until", models.DateTimeField(editable=False, null=True)),
                ("waiting_tick", models.DateTimeField(editable=False, null=True, verbose_name="tick that waits")),
                ("last_job", models.UUIDField(editable=False, null=True, verbose_name="last job")),
                ("fired", models.PositiveIntegerField(default=0, editable=False, verbose_name="ticks that made a job")),
                ("fired_at", models.DateTimeField(editable=False, null=True, verbose_name="last tick that made a job")),
                ("skipped_at", models.DateTimeField(editable=False, null=True, verbose_name="last tick left out")),
                (
                    "trouble",
                    models.CharField(blank=True, default="", editable=False, max_length=250, verbose_name="trouble"),
                ),
                ("trouble_at", models.DateTimeField(editable=False, null=True, verbose_name="trouble since")),
            ],
            options={
                "verbose_name": "schedule",
                "verbose_name_plural": "schedules",
                "permissions": [("run_schedule", "Can run schedules now")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("expression", ""), ("seconds__isnull", False)),
                            models.Q(models.Q(("expression", ""), _negated=True), ("seconds__isnull", True)),
                            ("from_code", True),
                            _connector="OR",
                        ),
                        name="jobs_schedule_one_rule",
                    )
                ],
            },
        ),
        migrations.RunPython(take_over, give_back),
        migrations.DeleteModel("FormerSchedule"),
    ]
