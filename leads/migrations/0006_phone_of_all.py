from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("leads", "0005_import_counts"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="lead",
            index=models.Index(fields=["phone"], name="leads_phone_of_all"),
        ),
    ]
