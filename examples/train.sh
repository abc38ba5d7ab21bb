#!/bin/sh
# Fits a line to 64 noisy points by stochastic gradient descent with momentum, and prints the loss on 64 others
# after each epoch. Needs nothing but sh and awk.
set -eu

learning_rate=0.01 momentum=0 batch_size=16 epochs=10
for argument; do
  case $argument in
    --learning_rate=*) learning_rate=${argument#*=} ;;
    --momentum=*) momentum=${argument#*=} ;;
    --batch_size=*) batch_size=${argument#*=} ;;
    --epochs=*) epochs=${argument#*=} ;;
    *) echo "train.sh: unknown argument $argument" >&2; exit 2 ;;
  esac
done

LC_ALL=C exec awk -v rate="$learning_rate" -v momentum="$momentum" -v batch="$batch_size" -v epochs="$epochs" '
  function random() { state = (state * 16807) % 2147483647; return state / 2147483647 }
  function noise() { return random() + random() + random() - 1.5 }
  BEGIN {
    state = 20261122; points = 64
    for (i = 0; i < 2 * points; i++) { x[i] = 2 * random() - 1; y[i] = 3 * x[i] - 1 + 0.2 * noise() }
    for (epoch = 1; epoch <= epochs; epoch++) {
      for (start = 0; start < points; start += batch) {
        slope_gradient = 0; offset_gradient = 0
        for (i = start; i < start + batch; i++) {
          error = slope * x[i] + offset - y[i]
          slope_gradient += 2 * error * x[i] / batch; offset_gradient += 2 * error / batch
        }
        slope_velocity = momentum * slope_velocity - rate * slope_gradient; slope += slope_velocity
        offset_velocity = momentum * offset_velocity - rate * offset_gradient; offset += offset_velocity
      }
      loss = 0
      for (i = points; i < 2 * points; i++) { error = slope * x[i] + offset - y[i]; loss += error * error / points }
      if (loss > 1e6) { print "diverged after epoch " epoch > "/dev/stderr"; exit 1 }
      printf "epoch=%d loss=%.6g\n", epoch, loss
      fflush()
    }
  }'
