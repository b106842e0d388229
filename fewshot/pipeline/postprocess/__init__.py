"""Steps that change labels."""
