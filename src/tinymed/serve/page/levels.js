/** From a frame's stored levels to shades of the screen. */

const KINDS = {
  rgb8: { Values: Uint8Array, channels: 3, first: 0, count: 256 },
  grey8: { Values: Uint8Array, channels: 1, first: 0, count: 256 },
  grey16: { Values: Uint16Array, channels: 1, first: 0, count: 65536 },
  grey16s: { Values: Int16Array, channels: 1, first: -32768, count: 65536 },
};

/** Usual windows of computed tomography, in Hounsfield units: [center, width]. */
export const CT_WINDOWS = {
  "ct-lung": [-600, 1500],
  "ct-soft": [40, 400],
  "ct-bone": [400, 1800],
  "ct-brain": [40, 80],
};

/**
 * A frame out of the server's facts and bytes (little-endian, as every browser's own order is).
 *
 * `pyramid` holds it whole, halved, halved again: a picture that is shown small is drawn from
 * few pixels.
 */
export function frameOf(facts, buffer) {
  const kind = KINDS[facts.kind];
  const values = new kind.Values(buffer);
  if (values.length !== facts.width * facts.height * kind.channels) {
    throw new RangeError(facts.kind);
  }
  const whole = { width: facts.width, height: facts.height, values };
  const [low, high] = kind.channels === 3 ? [0, 255] : extent(values);
  return { ...facts, ...kind, low, high, pyramid: pyramidOf(whole, kind) };
}

/** The window a frame opens with. Colour has none: its levels are shown as they are. */
export function ownWindow(frame) {
  if (frame.channels === 3 || !(frame.width_of_window > 0)) {
    return fullWindow(frame);
  }
  return { center: frame.center, width: frame.width_of_window };
}

/** The window from the darkest level that occurs to the brightest. */
export function fullWindow(frame) {
  return { center: (frame.low + frame.high + 1) / 2, width: frame.high - frame.low + 1 };
}

/** The shade, 0 to 255, of one level: DICOM's linear window (PS3.3 C.11.2.1.2.1). */
export function shade(level, center, width) {
  if (width <= 1) {
    return level <= center - 0.5 ? 0 : 255;
  }
  const share = (level - (center - 0.5)) / (width - 1) + 0.5;
  return Math.round(255 * Math.min(Math.max(share, 0), 1));
}

/** The shade of every level of a kind, in order. */
export function shadesOf(frame, { center, width }, isInverted) {
  const shades = new Uint8Array(frame.count);
  for (let index = 0; index < shades.length; index += 1) {
    const grey = shade(frame.first + index, center, width);
    shades[index] = isInverted ? 255 - grey : grey;
  }
  return shades;
}

/** Paint a rectangle of one level of the pyramid into RGBA pixels, one 32-bit number each. */
export function paint(frame, source, { x, y, width, height }, shades, pixels) {
  const { values } = source;
  let out = 0;
  for (let row = y; row < y + height; row += 1) {
    let from = row * source.width + x;
    if (frame.channels === 1) {
      const end = from + width;
      for (; from < end; from += 1) {
        pixels[out++] = 0xff000000 | (0x010101 * shades[values[from] - frame.first]);
      }
    } else {
      from *= 3;
      const end = from + 3 * width;
      for (; from < end; from += 3) {
        const blueGreen = (shades[values[from + 2]] << 16) | (shades[values[from + 1]] << 8);
        pixels[out++] = 0xff000000 | blueGreen | shades[values[from]];
      }
    }
  }
}

function extent(values) {
  let low = values[0];
  let high = values[0];
  for (const value of values) {
    if (value < low) {
      low = value;
    } else if (value > high) {
      high = value;
    }
  }
  return [low, high];
}

function pyramidOf(whole, kind) {
  const pyramid = [whole];
  while (Math.max(pyramid.at(-1).width, pyramid.at(-1).height) > 512) {
    pyramid.push(halved(pyramid.at(-1), kind));
  }
  return pyramid;
}

/** Half as wide and high: the mean of every 2 x 2 pixels; an odd last line stands for itself. */
function halved({ width, height, values }, { Values, channels }) {
  const half = { width: (width + 1) >> 1, height: (height + 1) >> 1 };
  const means = new Values(half.width * half.height * channels);
  let out = 0;
  for (let row = 0; row < height; row += 2) {
    const top = row * width;
    const bottom = Math.min(row + 1, height - 1) * width;
    for (let column = 0; column < width; column += 2) {
      const right = Math.min(column + 1, width - 1);
      for (let channel = 0; channel < channels; channel += 1) {
        const sum =
          values[(top + column) * channels + channel] +
          values[(top + right) * channels + channel] +
          values[(bottom + column) * channels + channel] +
          values[(bottom + right) * channels + channel];
        means[out++] = (sum + 2) >> 2;
      }
    }
  }
  return { ...half, values: means };
}
