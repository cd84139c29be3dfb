"""The site in the distribution's Chromium: every page looked at, and each flow clicked through."""
