"""What the product tells about itself: metrics, traces, error reports, product events.

Metrics are always counted (a number in memory); everything else is imported and switched on by its settings only.
"""
