"""The subcommands: options and help, by subject; the work is elsewhere and imported when it runs."""
