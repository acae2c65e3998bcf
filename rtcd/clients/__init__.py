"""How clients reach the TURN service besides plain UDP, and where it listens."""
