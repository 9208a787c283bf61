/** Wait some seconds; `tick(left)` hears of each, `signal` ends it with an AbortError. */
export function pause(seconds, { tick = () => {}, signal = null } = {}) {
  return new Promise((resolve, reject) => {
    let left = seconds;
    const end = (settle, value) => {
      clearInterval(timer);
      signal?.removeEventListener("abort", stop);
      settle(value);
    };
    const stop = () => end(reject, new DOMException("", "AbortError"));
    const timer = setInterval(() => {
      left -= 1;
      if (left > 0) {
        tick(left);
      } else {
        end(resolve);
      }
    }, 1000);
    signal?.addEventListener("abort", stop);
    tick(left);
  });
}
