from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("jobs", "0008_clock")]

    operations = [
        migrations.AddField(
            model_name="worker",
            name="trouble",
            field=models.TextField(blank=True, db_default="", default="", verbose_name="trouble"),
        ),
        migrations.AddField(
            model_name="worker",
            name="trouble_since",
            field=models.DateTimeField(blank=True, null=True, verbose_name="in trouble since"),
        ),
    ]
