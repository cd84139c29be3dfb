"""Who may do what in their organization, on one page. Superusers may do everything everywhere.

A name is a permission of Django: "app.action_model". A role has what those below it have.
"""

#: Works with leads.
AGENT = {
    *("leads.view_lead", "leads.add_lead", "leads.change_lead", "leads.add_note", "leads.assign_lead"),
    *("leads.change_lead_status", "leads.record_consent", "leads.sync_lead"),
    *("leads.view_submission", "leads.view_crmdelivery", "leads.view_consentrecord"),
    *("emails.view_emailmessage", "emails.view_campaign", "emails.view_suppression"),
    *("notifications.view_notification", "notifications.view_smsmessage", "notifications.view_pushmessage"),
    "notifications.send_sms",
}

#: Also looks after campaigns, after what did not go well, and after the people who work with leads.
MANAGER = AGENT | {
    *("leads.process_submission", "leads.erase_lead", "leads.delete_lead"),
    *("leads.view_leadimport", "leads.add_leadimport", "leads.export_lead"),
    *("emails.add_campaign", "emails.change_campaign", "emails.delete_campaign", "emails.send_campaign"),
    *("emails.resend_emailmessage", "emails.lift_suppression"),
    *("accounts.view_organization", "accounts.view_membership"),
    *("accounts.view_invitation", "accounts.add_invitation", "accounts.change_invitation"),
    *("notifications.view_contactpreference", "notifications.view_pushdevice"),
    *("jobs.view_job", "jobs.view_attempt", "jobs.retry_job", "jobs.cancel_job", "jobs.promote_job"),
    *("jobs.discard_job", "jobs.edit_job"),
}

#: Also decides who belongs to the organization, and what comes in and goes out in its name.
OWNER = MANAGER | {
    "accounts.change_organization",
    *("accounts.change_membership", "accounts.delete_membership"),
    *("accounts.view_apikey", "accounts.add_apikey", "accounts.change_apikey"),
    *("leads.view_crmwebhook", "leads.add_crmwebhook", "leads.change_crmwebhook"),
    *("notifications.change_contactpreference", "notifications.delete_pushdevice"),
}

ROLES = {"agent": AGENT, "manager": MANAGER, "owner": OWNER}
