"""Every test of the Python relay plane, on the one with the short cut through the kernel: that is only to be faster."""

from __future__ import annotations

from rtcd.kernel.choice import Kernel
from tests.shell import (
    test_turn_errors,
    test_turn_fields,
    test_turn_moves,
    test_turn_payloads,
    test_turn_relay,
    test_turn_service,
)
from tests.shell.kernel import InKernel, use_kept


class ErrorsInKernel(InKernel, test_turn_errors.Errors):
    pass


class Errors6InKernel(InKernel, test_turn_errors.Errors6):
    pass


class Whole6InKernel(InKernel, test_turn_errors.Whole6):
    pass


class CarriedInKernel(InKernel, test_turn_fields.Carried):
    pass


class Carried6InKernel(InKernel, test_turn_fields.Carried6):
    pass


class TranslatedInKernel(InKernel, test_turn_fields.Translated):
    pass


class NotCarriedInKernel(InKernel, test_turn_fields.NotCarried):
    pass


class MovingInKernel(InKernel, test_turn_moves.Moving):
    pass


class MeteringInKernel(InKernel, test_turn_moves.Metering):
    pass


class PayloadsInKernel(InKernel, test_turn_payloads.Payloads):
    pass


class Payloads6InKernel(InKernel, test_turn_payloads.Payloads6):
    pass


class DualInKernel(InKernel, test_turn_payloads.Dual):
    pass


class ForwardingInKernel(InKernel, test_turn_relay.Forwarding):
    pass


class EndsInKernel(InKernel, test_turn_relay.Ends):
    pass


class PassingInKernel(InKernel, test_turn_relay.Passing):
    pass


class Forwarding6InKernel(InKernel, test_turn_relay.Forwarding6):
    pass


class Ends6InKernel(InKernel, test_turn_relay.Ends6):
    pass


class AttachedInKernel(InKernel, test_turn_relay.Attached):
    pass


class ServingInKernel(test_turn_service.Serving):
    relay_plane = "kernel"
    timers = 1

    def use_kernel(self) -> Kernel:
        """As every test of these has it."""
        return use_kept()
