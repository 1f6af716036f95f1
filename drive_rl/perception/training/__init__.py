"""How perception models learn."""
