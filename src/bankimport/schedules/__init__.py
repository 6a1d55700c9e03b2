"""Schedules: when ticks are due (`ticks`), and serving each once (`planner`)."""
