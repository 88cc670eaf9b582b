"""What keeps a good encoder good while it is trained: frozen layers, adapters, a pull to the start, averages."""
