"""The services that the simulator can behave like."""
