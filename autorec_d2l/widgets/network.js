// User-based AutoRec: a reader's ratings in, a prediction for any film out.

const numbers = (text, Type) =>
  new Type(Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer);

class Network {
  constructor(data) {
    this.numHidden = data.numHidden;
    this.damping = data.damping;
    for (const name of ["encoder", "decoder"]) {
      this[name] = numbers(data[name], Int8Array); // (num_items, num_hidden) levels
      this[`${name}Scale`] = numbers(data[`${name}Scale`], Float32Array); // (num_items,)
      this[`${name}Bias`] = numbers(data[`${name}Bias`], Float32Array);
    }
    this.means = numbers(data.means, Float32Array); // (num_items,) stars
  }

  // What the network makes of a person: hidden units, and by how much they are kinder than most.
  read(ratings) { // [[item, stars], ...]
    const rest = ratings.map(([item, stars]) => stars - this.means[item]);
    const kindness = rest.reduce((sum, x) => sum + x, 0) / (rest.length + this.damping);
    const hidden = Float64Array.from(this.encoderBias);
    ratings.forEach(([item], place) => {
      const x = (rest[place] - kindness) * this.encoderScale[item];
      const start = item * this.numHidden;
      for (let k = 0; k < hidden.length; k++) hidden[k] += x * this.encoder[start + k];
    });
    return { hidden: hidden.map((x) => 1 / (1 + Math.exp(-x))), kindness };
  }

  stars({ hidden, kindness }, item) {
    let score = 0;
    const start = item * this.numHidden;
    for (let k = 0; k < hidden.length; k++) score += hidden[k] * this.decoder[start + k];
    score = score * this.decoderScale[item] + this.decoderBias[item];
    return score + this.means[item] + kindness;
  }

  predict(ratings) { // (num_items,) stars
    const person = this.read(ratings);
    return Float64Array.from(this.means, (_, item) => this.stars(person, item));
  }

  // By how much each rating moved an item: its prediction, minus the one without that rating.
  reasons(ratings, items) {
    const person = this.read(ratings);
    const without = ratings.map((_, left) => this.read(ratings.filter((_, i) => i !== left)));
    return items.map((item) => {
      const stars = this.stars(person, item);
      return ratings
        .map(([rated], i) => ({ item: rated, moved: stars - this.stars(without[i], item) }))
        .sort((a, b) => Math.abs(b.moved) - Math.abs(a.moved));
    });
  }
}
