"""What is known of jobs: looked up, counted, put into words, and what needs a person.

Before it: `jobs.broker`, where jobs end. After it: `jobs.operate` and the admin, which show and act.
"""
