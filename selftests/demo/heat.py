#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Heat flow in a square plate.

usage: heat.py INPUT OUTPUT LOG [STEPS]

Solves the two-dimensional heat equation by the implicit alternating-direction
method: one time step is two products of dense matrices, which numpy hands to
the threads of the BLAS library. INPUT describes the plate, LOG gets a line
every few steps, OUTPUT the temperatures at the end, to the last bit.

The program knows nothing of checkpoints.
"""
import sys

import numpy


def read_input(name):
    """The lines are "size N", "steps N", "hot X Y RADIUS TEMPERATURE"."""
    size, steps, spots = 0, 0, []
    with open(name, encoding="ascii") as lines:
        for line in lines:
            word, *values = line.split("#")[0].split() or [""]
            if word == "size":
                size = int(values[0])
            elif word == "steps":
                steps = int(values[0])
            elif word == "hot":
                spots.append([float(value) for value in values])
    return size, steps, spots


def initial_temperatures(size, spots):
    y, x = numpy.mgrid[0:size, 0:size] / (size - 1)
    plate = numpy.zeros((size, size))
    for spot_x, spot_y, radius, temperature in spots:
        plate[(x - spot_x) ** 2 + (y - spot_y) ** 2 <= radius ** 2] = temperature
    return plate


def propagator(size, step):
    """The matrix that takes one row of the plate through one time step."""
    laplacian = (numpy.eye(size, k=1) + numpy.eye(size, k=-1) - 2 * numpy.eye(size))
    return numpy.linalg.inv(numpy.eye(size) - step * laplacian)


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    size, steps, spots = read_input(sys.argv[1])
    if len(sys.argv) > 4:
        steps = int(sys.argv[4])
    plate = initial_temperatures(size, spots)
    across = propagator(size, 0.4)
    along = across.T.copy()

    with open(sys.argv[3], "a", encoding="ascii") as log:
        for step in range(1, steps + 1):
            plate = across @ plate @ along
            if step % 5 == 0 or step == steps:
                log.write(f"step {step:5} of {steps}: mean {plate.mean():.15e}"
                          f" hottest {plate.max():.15e}\n")
                log.flush()

    with open(sys.argv[2], "wb") as output:
        output.write(plate.tobytes())
    print(f"done: {steps} steps, mean temperature {plate.mean():.12f}")


main()
