from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("jobs", "0003_returns")]

    operations = [
        migrations.AddField(
            "worker",
            "clock_offset",
            models.FloatField(blank=True, null=True, verbose_name="clock ahead (s)"),
        ),
        migrations.AddField(
            "worker",
            "duties_at",
            models.DateTimeField(blank=True, null=True, verbose_name="duties done"),
        ),
    ]
