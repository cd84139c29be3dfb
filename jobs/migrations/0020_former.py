from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0019_left_store"),
    ]

    operations = [
        migrations.AlterField(
            model_name="queuestate",
            name="former",
            field=models.CharField(db_default="", default="", max_length=500),
        ),
    ]
