"""Makes ``twistd rtcd`` known. Imports nothing of rtcd: Twisted reads this file whenever it lists its commands."""

from twisted.application.service import ServiceMaker

rtcd = ServiceMaker("rtcd", "rtcd.tap", "Rooms, signalling, STUN/TURN and credentials for video calls.", "rtcd")
