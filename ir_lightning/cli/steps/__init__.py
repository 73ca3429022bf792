"""Steps that run before the report of an experiment and leave files in its folder.

A step is one class, here or in a package of one's own, that an experiment's file names under
``prepare`` by its ``_target_``.
"""
