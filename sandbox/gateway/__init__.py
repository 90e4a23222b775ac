"""The recording gateway: plays the whole outside world and writes down every byte sent to it."""
