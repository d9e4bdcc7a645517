"""The detector that a verdict speaks for, put to use on new photographs."""
