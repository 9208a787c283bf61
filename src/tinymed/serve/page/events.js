/** Server-sent events out of pieces of text, wherever the pieces are cut. */

export class EventParser {
  #rest = "";
  #name = "message";
  #data = [];

  /** Take a piece of the stream; give the events that it completes, as {name, data}. */
  push(piece) {
    const lines = (this.#rest + piece).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop();
    return lines.flatMap((line) => this.#take(line));
  }

  #take(line) {
    if (line === "") {
      const done = this.#data.length > 0 ? [{ name: this.#name, data: this.#data.join("\n") }] : [];
      this.#name = "message";
      this.#data = [];
      return done;
    }
    const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line);
    if (field === "event") {
      this.#name = value;
    } else if (field === "data") {
      this.#data.push(value);
    }
    return [];
  }
}
