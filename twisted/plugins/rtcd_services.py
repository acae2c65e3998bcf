"""rtcd's own services, found in the same way as those of anybody else."""

from rtcd.plugin import ServicePlugin

turn = ServicePlugin("turn", "rtcd.turn.service", "STUN and TURN server")
ice = ServicePlugin("ice", "rtcd.ice.service", "Hands out TURN credentials")
signaling = ServicePlugin("signaling", "rtcd.signaling.service", "WebSocket signalling, as Collider")
web = ServicePlugin("web", "rtcd.web.service", "Rooms and call page, as AppRTC")
metrics = ServicePlugin("metrics", "rtcd.monitoring.service", "Figures for Prometheus, and health")
admin = ServicePlugin("admin", "rtcd.admin.service", "Looks after the daemon: API, keys, webhooks")
check = ServicePlugin("check", "rtcd.check.service", "The page that tries every path")
