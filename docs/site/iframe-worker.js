// Search in a folder: browsers start no worker from a file, so the search runs in a hidden frame instead.
// Zensical takes a script of this name for its own, which would be loaded from another host.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(address) {
      super();
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.body.append(this.frame);
      const inside = this.frame.contentWindow;
      inside.postMessage = (data) => this.tell(this, MessageEvent, data);
      this.waiting = []; // what is sent before the script is there
      const script = inside.document.createElement("script");
      script.src = new URL(address, document.baseURI).href;
      script.onload = () => {
        const waiting = this.waiting;
        this.waiting = null;
        waiting.forEach((data) => this.postMessage(data));
      };
      script.onerror = () => this.dispatchEvent(new Event("error"));
      inside.document.head.append(script);
    }

    postMessage(data) {
      const inside = this.frame.contentWindow;
      if (this.waiting) this.waiting.push(data);
      else this.tell(inside, inside.MessageEvent, data);
    }

    terminate() {
      this.frame.remove();
    }

    // A copy and later, as with a worker: what was sent may change, and nobody is answered before they listen.
    tell(receiver, Message, data) {
      const copy = structuredClone(data);
      setTimeout(() => {
        const event = new Message("message", { data: copy });
        receiver.dispatchEvent(event);
        if (receiver === this && this.onmessage) this.onmessage(event);
      });
    }
  };
}
