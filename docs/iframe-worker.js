// Search of a site that was opened from the file system: browsers start no worker there, so the worker's script runs in a
// hidden frame. The theme asks for a script of this name, and would fetch one otherwise.
class IFrameWorker extends EventTarget {
  constructor(url) {
    super()
    const frame = document.createElement("iframe")
    frame.hidden = true
    document.body.appendChild(frame)
    const inside = frame.contentWindow
    inside.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
    inside.importScripts = (...urls) => Promise.all(urls.map(source => load(inside, source)))
    this.inside = load(inside, url).then(() => inside)
  }

  postMessage(data) {
    this.inside.then(inside => inside.dispatchEvent(new MessageEvent("message", { data })))
  }
}

function load(inside, url) {
  return new Promise((resolve, reject) => {
    const script = inside.document.createElement("script")
    script.src = url
    script.onload = resolve
    script.onerror = () => reject(new Error(`${url} cannot be read`))
    inside.document.body.appendChild(script)
  })
}

window.IFrameWorker = IFrameWorker
if (location.protocol === "file:") window.Worker = IFrameWorker
