// What a program in JavaScript finds beside the language: the parts of Node.js that programs of benchmarks use.
// `hostWrite(fd, text)`, `hostRead()` and `hostExit(status)` come from `javascript.py`, which calls what this returns.
(function (write, readAll, exit) {
  "use strict";
  const { stringify, parse } = JSON, indirectEval = eval, isArray = Array.isArray;
  const tasks = [], timers = [];
  let stdinText = null, now = 0, timerNumber = 0, settled = null;

  function readStdin() {
    if (stdinText === null) stdinText = readAll();
    return stdinText;
  }

  // values as console.log shows them: strings as they are, containers as Node.js does where they fit in one line
  function show(value, nested, depth) {
    if (typeof value === "string") return nested ? quoted(value) : value;
    if (typeof value === "bigint") return value + "n";
    if (Object.is(value, -0)) return "-0";
    if (typeof value === "symbol") return value.toString();
    if (typeof value === "function") {
      const kind = /^class\b/.test(Function.prototype.toString.call(value)) ? "class" : "Function";
      return value.name ? `[${kind}${kind === "class" ? " " : ": "}${value.name}]` : `[${kind} (anonymous)]`;
    }
    if (value === null || typeof value !== "object") return String(value);
    if (value instanceof Error) return value.stack ? `${value}\n${value.stack}`.trimEnd() : String(value);
    if (value instanceof Date) return value.toISOString();
    if (value instanceof RegExp) return String(value);
    if (depth > 2) return isArray(value) ? "[Array]" : "[Object]";
    const inner = (item) => show(item, true, depth + 1);
    const own = (object) => Object.keys(object).map((key) => `${/^[A-Za-z_$][\w$]*$/.test(key) ? key : quoted(key)}: ${inner(object[key])}`);
    if (isArray(value)) return listed("[", value.map(inner), "]");
    if (ArrayBuffer.isView(value)) return `${value.constructor.name}(${value.length}) ` + listed("[", Array.from(value, inner), "]");
    if (value instanceof Set) return `Set(${value.size}) ` + listed("{", Array.from(value, inner), "}");
    if (value instanceof Map) return `Map(${value.size}) ` + listed("{", Array.from(value, ([k, v]) => `${inner(k)} => ${inner(v)}`), "}");
    const prototype = Object.getPrototypeOf(value);
    const name = prototype === null ? "[Object: null prototype] " : prototype.constructor && prototype.constructor !== Object ? `${prototype.constructor.name} ` : "";
    return name + listed("{", own(value), "}");
  }

  function quoted(text) {
    return "'" + text.replace(/\\/g, "\\\\").replace(/\n/g, "\\n").replace(/'/g, "\\'") + "'";
  }

  function listed(open, items, close) {
    if (!items.length) return open + close;
    return `${open} ${items.join(", ")} ${close}`;
  }

  function format(values) {
    if (typeof values[0] === "string" && values[0].includes("%") && values.length > 1) {
      let at = 1;
      const first = values[0].replace(/%([sdifjoO%])/g, (whole, kind) => {
        if (kind === "%") return "%";
        if (at >= values.length) return whole;
        const value = values[at++];
        if (kind === "s") return show(value, false, 0);
        if (kind === "d") return String(Number(value));
        if (kind === "i") return String(parseInt(value));
        if (kind === "f") return String(parseFloat(value));
        return kind === "j" ? stringify(value) : show(value, true, 0);
      });
      values = [first, ...values.slice(at)];
    }
    return values.map((value) => show(value, false, 0)).join(" ");
  }

  const out = (...values) => write(1, format(values) + "\n"), err = (...values) => write(2, format(values) + "\n");
  globalThis.console = { log: out, info: out, debug: out, table: out, error: err, warn: err, trace: err, time() {}, timeEnd() {} };
  globalThis.print = out;

  function emitter(own) {
    const handlers = {};
    return Object.assign(own, {
      handlers,
      on(name, handler) {
        (handlers[name] = handlers[name] || []).push(handler);
        return own;
      },
      once(name, handler) { return own.on(name, handler); },
      addListener(name, handler) { return own.on(name, handler); },
      removeListener() { return own; },
      emit(name, ...values) { (handlers[name] || []).forEach((handler) => handler(...values)); },
    });
  }

  const lines = () => readStdin().replace(/\r\n/g, "\n").replace(/\n$/, "").split("\n");
  let readOnce = false;
  const read = () => { if (readOnce) return null; readOnce = true; return readStdin(); };
  const stdin = emitter({ fd: 0, setEncoding: () => stdin, resume: () => stdin, pause: () => stdin, read });
  stdin[Symbol.asyncIterator] = async function* () { yield readStdin(); };
  tasks.push(() => {
    if (!stdin.handlers.data && !stdin.handlers.end && !stdin.handlers.readable) return;
    stdin.emit("readable");
    if (readStdin() !== "") stdin.emit("data", readStdin());
    stdin.emit("end");
    stdin.emit("close");
  });

  function createInterface() {
    const reader = emitter({ close() { closed = true; }, setPrompt() {}, prompt() {} });
    let closed = false, at = 0;
    const texts = () => (readStdin() === "" ? [] : lines());
    reader.question = (query, answer) => { write(1, query); tasks.push(() => answer(texts()[at++] ?? "")); };
    reader[Symbol.asyncIterator] = async function* () { yield* texts(); };
    tasks.push(() => {
      while (at < texts().length && !closed) reader.emit("line", texts()[at++]);
      reader.emit("close");
    });
    return reader;
  }

  const stream = (fd) => emitter({ fd, isTTY: false, write(text) { write(fd, String(text)); return true; }, end(text) { if (text !== undefined) write(fd, String(text)); } });
  const process = {
    argv: ["node", "program"], env: {}, platform: "linux", version: "v20.0.0", exitCode: undefined,
    stdin, stdout: stream(1), stderr: stream(2), exit: (status) => exit(Number(status ?? process.exitCode ?? 0) | 0),
    nextTick: (call, ...values) => { Promise.resolve().then(() => call(...values)); },
    on() { return process; }, cwd: () => "/", uptime: () => 0, memoryUsage: () => ({ heapUsed: 0 }),
    hrtime: Object.assign(() => [0, 0], { bigint: () => 0n }),
  };
  globalThis.process = process;

  const fs = {
    readFileSync(path) {
      if (path === 0 || path === "/dev/stdin") return readStdin();
      throw new Error(`ENOENT: no such file or directory, open '${path}'`);
    },
    writeFileSync(path, text) {
      if (path !== 1 && path !== "/dev/stdout") throw new Error(`EACCES: permission denied, open '${path}'`);
      write(1, String(text));
    },
    writeSync(fd, text) { write(fd, String(text)); },
  };

  function same(a, b) {
    if (Object.is(a, b) || a === b) return true;
    if (a === null || b === null || typeof a !== "object" || typeof b !== "object") return false;
    if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
    if (a instanceof Date) return +a === +b;
    if (a instanceof Map || a instanceof Set) return a.size === b.size && same([...a], [...b]);
    const keys = Object.keys(a);
    return keys.length === Object.keys(b).length && keys.every((key) => key in b && same(a[key], b[key]));
  }

  class AssertionError extends Error {
    get name() { return "AssertionError"; }
  }
  const check = (right, message) => { if (!right) throw message instanceof Error ? message : new AssertionError(message ?? "the assertion failed"); };
  const assert = Object.assign((value, message) => check(value, message), {
    AssertionError, ok: check, equal: (a, b, message) => check(a == b, message), strictEqual: (a, b, message) => check(Object.is(a, b), message),
    notEqual: (a, b, message) => check(a != b, message), notStrictEqual: (a, b, message) => check(!Object.is(a, b), message),
    deepEqual: (a, b, message) => check(same(a, b), message), deepStrictEqual: (a, b, message) => check(same(a, b), message),
    throws(call, message) { try { call(); } catch { return; } check(false, message); },
  });

  const modules = { fs, assert, readline: { createInterface }, process, util: { inspect: (value) => show(value, true, 0), format: (...values) => format(values) } };
  globalThis.require = (name) => {
    const exported = modules[String(name).replace(/^node:/, "")];
    if (!exported) throw new Error(`Cannot find module '${name}'`);
    return exported;
  };
  globalThis.module = { exports: {} };
  globalThis.exports = globalThis.module.exports;
  globalThis.global = globalThis;
  let lineAt = 0;
  globalThis.readline = () => { const all = lines(); return lineAt < all.length ? all[lineAt++] : null; };

  // timers run in the order of their times, none of which is waited for
  const timer = (repeats) => (call, milliseconds, ...values) => {
    const entry = { number: ++timerNumber, due: now + (Number(milliseconds) || 0), period: repeats ? Math.max(1, Number(milliseconds) || 0) : 0, call: () => call(...values) };
    timers.push(entry);
    return entry.number;
  };
  globalThis.setTimeout = timer(false);
  globalThis.setInterval = timer(true);
  globalThis.setImmediate = (call, ...values) => setTimeout(call, 0, ...values);
  globalThis.clearTimeout = globalThis.clearInterval = globalThis.clearImmediate = (number) => {
    const at = timers.findIndex((entry) => entry.number === number);
    if (at >= 0) timers.splice(at, 1);
  };
  globalThis.queueMicrotask = (call) => { Promise.resolve().then(call); };
  globalThis.structuredClone ??= (value) => parse(stringify(value));
  globalThis.performance ??= { now: () => now };

  // JSON with what it lacks: numbers that are not finite, large integers, sets, maps
  function encode(value) {
    return stringify(value === undefined ? null : value, function (key, plain) {
      const item = this[key];
      if (typeof item === "bigint") return { $integer: String(item) };
      if (typeof item === "number" && !Number.isFinite(item)) return { $number: String(item) };
      if (item instanceof Set || ArrayBuffer.isView(item)) return Array.from(item);
      if (item instanceof Map) return Object.fromEntries(item);
      if (typeof item === "function" || typeof item === "symbol") throw new TypeError(`a ${typeof item} cannot be sent`);
      return item === undefined ? null : plain;
    });
  }
  function decode(text) {
    const tagged = (value) => value && typeof value === "object" && ["NaN", "Infinity", "-Infinity"].includes(value.$number) && Object.keys(value).length === 1;
    return parse(text, (key, value) => (tagged(value) ? Number(value.$number) : value));
  }

  return {
    call(name, values) {
      let target;
      try {
        target = indirectEval(name);
      } catch (error) {
        if (!(error instanceof ReferenceError)) throw error;
      }
      target = target ?? globalThis.module.exports?.[name];
      if (typeof target !== "function") throw new ReferenceError(`${name} is not defined`);
      const result = target(...decode(values));
      settled = null;
      if (!(result instanceof Promise)) { settled = { value: result }; return; }
      result.then((value) => { settled = { value }; }, (error) => { settled = { error }; });
    },
    result() {
      if (settled === null) throw new Error("the promise is never settled");
      if ("error" in settled) throw settled.error;
      return encode(settled.value);
    },
    next() {  // runs the next task or timer; false: there is none
      if (tasks.length) { tasks.shift()(); return true; }
      if (!timers.length) return false;
      let at = 0;
      timers.forEach((entry, i) => { if (entry.due < timers[at].due) at = i; });
      const [entry] = timers.splice(at, 1);
      now = Math.max(now, entry.due);
      if (entry.period) { entry.due = now + entry.period; timers.push(entry); }
      entry.call();
      return true;
    },
    exitCode: () => Number(process.exitCode ?? 0) | 0,
  };
})
