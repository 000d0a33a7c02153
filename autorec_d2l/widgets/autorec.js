// AutoRec as it is in PyTorch: forward, backward and Adam, in plain loops over plain arrays.

const MOMENTUM = 0.9;
const SMOOTHING = 0.999;

class AutoRec {
  // `weights` are arrays: encoder (num_hidden, num_users), decoder (num_users, num_hidden), biases.
  constructor(weights, random) {
    const flat = (array) => Float64Array.from(array.flat());
    this.numHidden = weights.encoder.length;
    this.numUsers = weights.decoder.length;
    this.parameters = Object.fromEntries(
      Object.entries(weights).map(([name, array]) => [name, flat(array)]));
    this.random = random;
    this.steps = 0;
    const zeros = () => Object.fromEntries(
      Object.entries(this.parameters).map(([name, array]) => [name, new Float64Array(array.length)]));
    [this.first, this.second, this.zeros] = [zeros(), zeros(), zeros];
  }

  // One row of ratings, 0 = not rated, to `hidden` and `predictions`; `kept` scales hidden units.
  forward(row, kept = Array(this.numHidden).fill(1)) {
    const { encoder, encoderBias, decoder, decoderBias } = this.parameters;
    const [m, n] = [this.numHidden, this.numUsers];
    const hidden = Array.from(encoderBias, (bias, k) => {
      let sum = bias;
      for (let u = 0; u < n; u++) sum += encoder[k * n + u] * row[u];
      return 1 / (1 + Math.exp(-sum));
    });
    const predictions = Array.from(decoderBias, (bias, u) => {
      let sum = bias;
      for (let k = 0; k < m; k++) sum += decoder[u * m + k] * hidden[k] * kept[k];
      return sum;
    });
    return { hidden, predictions, kept };
  }

  // The gradient of half the mean squared error over all cells, as `L2Loss` takes it.
  gradients(rows, { mask = true, dropout = 0 } = {}) {
    const { decoder } = this.parameters;
    const [m, n] = [this.numHidden, this.numUsers];
    const out = this.zeros();
    for (const row of rows) {
      const keep = () => (this.random() < dropout ? 0 : 1 / (1 - dropout));
      const kept = Array.from({ length: m }, dropout ? keep : () => 1);
      const { hidden, predictions } = this.forward(row, kept);
      const back = new Float64Array(m);
      for (let u = 0; u < n; u++) {
        if (mask && !row[u]) continue; // the mask: an empty cell has no error
        const error = (predictions[u] - row[u]) / (rows.length * n);
        out.decoderBias[u] += error;
        for (let k = 0; k < m; k++) {
          out.decoder[u * m + k] += error * hidden[k] * kept[k];
          back[k] += error * decoder[u * m + k] * kept[k];
        }
      }
      for (let k = 0; k < m; k++) {
        const slope = back[k] * hidden[k] * (1 - hidden[k]);
        out.encoderBias[k] += slope;
        for (let u = 0; u < n; u++) out.encoder[k * n + u] += slope * row[u];
      }
    }
    return out;
  }

  // One step of Adam, as torch.optim.Adam(lr=lr, weight_decay=decay) makes it.
  step(rows, { lr, decay = 0, ...how }) {
    const gradients = this.gradients(rows, how);
    this.steps += 1;
    const [a, b] = [1 - MOMENTUM ** this.steps, 1 - SMOOTHING ** this.steps];
    for (const [name, weights] of Object.entries(this.parameters)) {
      const [first, second] = [this.first[name], this.second[name]];
      weights.forEach((weight, i) => {
        const gradient = gradients[name][i] + decay * weight;
        first[i] = MOMENTUM * first[i] + (1 - MOMENTUM) * gradient;
        second[i] = SMOOTHING * second[i] + (1 - SMOOTHING) * gradient ** 2;
        weights[i] -= (lr * first[i]) / a / (Math.sqrt(second[i] / b) + 1e-8);
      });
    }
  }
}
