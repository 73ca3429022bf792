"""Steps before a report: classes, named by ``_target_``, that leave files in its folder."""
