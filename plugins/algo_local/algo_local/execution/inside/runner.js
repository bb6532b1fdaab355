/* Run one algorithm by the platform's process protocol, in Node.js 16 or later (API section 8.4): the counterpart of
 * `runner.py`, which says what holds for both.
 *
 * Started as `ENVIRONMENT/bin/node runner.js TREE MODULE ANSWERS`. The module exports `apply(input)`, which returns the
 * result or a promise of it, or `apply(input, cb)`, which calls `cb(error, result)`; and perhaps `load()`, whose result
 * is then the second argument. Requires nothing but Node.js itself: what the algorithm requires is in ENVIRONMENT.
 */
'use strict';

const fs = require('fs');
const path = require('path');
const { pathToFileURL } = require('url');

const [tree, name, fifo] = process.argv.slice(2);
const modules = path.join(path.dirname(process.argv0), '..', 'node_modules');
const write = process.stdout.write.bind(process.stdout);
const exit = process.exit.bind(process);
const TRACE_DEPTH = 50; // frames; the ten of V8 may all be of one library
const CAUSES = 8;
const FOREIGN = /\bnode:|\(<anonymous>\)$/; // frames of Node.js itself

let isLoading = true;
let lastError = ''; // the last line on standard error while loading
let settle = null; // ends the call that runs: settle(error) or settle(null, result)
let unread = []; // parts of the line that is being read
let requests = []; // lines that wait
let hasEnded = false; // whether there is no more input

/** Write one line to the stream of answers, opened and closed for it alone as the protocol wants. */
function answer(object) {
  fs.writeFileSync(fifo, JSON.stringify(object) + '\n');
}

/** Whether something is an error, also one of another realm. */
function isError(value) {
  return value instanceof Error || Object.prototype.toString.call(value) === '[object Error]';
}

/** The stack traces of an error and its causes, without the frames of this file and of Node.js. */
function traceOf(error) {
  const traces = [];
  for (let one = error; isError(one) && traces.length < CAUSES; one = one.cause) {
    const lines = String(one.stack || one).split('\n').map((line) => line.replace('file:///', '/'));
    traces.push(lines.filter((line) => !/^\s+at /.test(line) || !(line.includes(__filename) || FOREIGN.test(line))));
  }
  return traces.map((lines) => lines.join('\n').trimEnd() + '\n').join('Caused by: ');
}

/** The error object of the protocol; `error.error_type`, where there is one, names the kind. */
function failure(error, kind) {
  if (!isError(error)) {
    const said = error && typeof error.message === 'string' ? error.message : error;
    const message = typeof said === 'string' ? said : JSON.stringify(said) || String(said);
    const given = error && typeof error.error_type === 'string' ? error.error_type : kind;
    return { error: { message, error_type: given } };
  }
  const type = typeof error.error_type === 'string' ? error.error_type : kind;
  return { error: { message: String(error.message || error.name), error_type: type, stacktrace: traceOf(error) } };
}

/** The result object of the protocol: buffers are binary, strings are text, all else is JSON. */
function result(value) {
  if (ArrayBuffer.isView(value)) {
    value = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  } else if (value instanceof ArrayBuffer) {
    value = Buffer.from(value);
  }
  if (Buffer.isBuffer(value)) {
    return { result: value.toString('base64'), metadata: { content_type: 'binary' } };
  }
  if (typeof value === 'string') {
    return { result: value, metadata: { content_type: 'text' } };
  }
  if (value === undefined) {
    value = null;
  } else if (typeof value === 'function' || typeof value === 'symbol') {
    throw new TypeError(`The result is a ${typeof value}, which JSON cannot express`);
  }
  return { result: value, metadata: { content_type: 'json' } };
}

/** Whether a file is an ECMAScript module, by its name and the package.json above it. */
function isModule(file) {
  if (!file.endsWith('.js')) {
    return file.endsWith('.mjs');
  }
  for (let directory = path.dirname(file); directory.startsWith(tree); directory = path.dirname(directory)) {
    try {
      return JSON.parse(fs.readFileSync(path.join(directory, 'package.json'), 'utf8')).type === 'module';
    } catch (error) {
      if (error.code !== 'ENOENT') {
        return false;
      }
    }
  }
  return false;
}

/** What the algorithm's module exports. */
async function exportsOf(file) {
  if (!isModule(file)) {
    try {
      return require(file);
    } catch (error) {
      if (error.code !== 'ERR_REQUIRE_ESM' && error.code !== 'ERR_REQUIRE_ASYNC_MODULE') {
        throw error;
      }
    }
  }
  return import(pathToFileURL(file).href);
}

/** The function `apply` of what was exported, and `load` beside it. A function that is exported itself is `apply`. */
function entryOf(exported) {
  for (const one of [exported, exported && exported.default]) {
    if (one && typeof one.apply === 'function' && one.apply !== Function.prototype.apply) {
      return { apply: one.apply.bind(one), length: one.apply.length, load: one.load };
    }
    if (typeof one === 'function') {
      return { apply: one, length: one.length, load: one.load };
    }
  }
  throw new TypeError(`${name} exports no function apply: write exports.apply = function (input) { ... }`);
}

/** A function of one input that promises the result. */
async function bind(entry) {
  const loaded = typeof entry.load === 'function' && entry.load.length === 0 ? [await entry.load()] : [];
  const takesCallback = entry.length > 1 + loaded.length;
  return (input) =>
    new Promise((resolve, reject) => {
      const done = (error, value) => (error ? reject(error) : resolve(value));
      const returned = entry.apply(input, ...loaded, ...(takesCallback ? [done] : []));
      if (!takesCallback) {
        resolve(returned);
      } else if (returned !== undefined) {
        Promise.resolve(returned).then((value) => value !== undefined && resolve(value), reject);
      }
    });
}

/** What a missing module is, if one of the algorithm's own was meant. */
function explainMissing(error) {
  if (error.code !== 'MODULE_NOT_FOUND' && error.code !== 'ERR_MODULE_NOT_FOUND') {
    return;
  }
  const [, missing] = /Cannot find (?:module|package) '([^']+)'/.exec(error.message) || [];
  error.message = error.message.split('\n')[0];
  if (missing && /^[\w-]+$/.test(missing)) {
    const own = ['.js', '.mjs', '.cjs', '.json', '/index.js'].find((end) => fs.existsSync(path.join(tree, 'src', missing + end)));
    if (own) {
      error.message = `Cannot find module '${missing}'; src/${missing}${own} is loaded with: require('./${missing}')`;
    }
  }
}

/** Answer that loading has failed, which nothing follows. */
function loadingFailed(error) {
  isLoading = false;
  if (isError(error)) {
    explainMissing(error);
  }
  answer(failure(error, 'LoadingError'));
  exit(1);
}

/** Name a process.exit while loading; while a call runs, the platform sees the exit code. */
function watchLoading() {
  const writeError = process.stderr.write;
  process.stderr.write = function (chunk, ...rest) {
    lastError = isLoading ? String(chunk).trim().split('\n').pop() || lastError : '';
    return writeError.call(this, chunk, ...rest);
  };
  process.exit = (code) => {
    if (isLoading) {
      const given = code === undefined ? process.exitCode || 0 : code;
      const error = new Error(`process.exit(${given}) was called while it was loading${lastError ? `: ${lastError}` : ''}`);
      Error.captureStackTrace(error, process.exit);
      loadingFailed(error);
    }
    exit(code);
  };
}

/** Whether the next request keeps the process alive. Input from a file, which an executor may use, always does. */
function waitForInput(isAwaited) {
  if (process.stdin.unref) {
    process.stdin[isAwaited ? 'ref' : 'unref']();
  }
}

/** Answer one request. Waiting for input counts for nothing meanwhile, so that a call that nothing can end any more is
 * seen: see `beforeExit`. */
function serve(apply, line) {
  waitForInput(false);
  settle = (error, value) => {
    settle = null;
    let object;
    try {
      object = error ? failure(error.reason, 'AlgorithmError') : result(value);
      answer(object);
    } catch (unfit) {
      answer(failure(unfit, 'AlgorithmError'));
    }
    next(apply);
  };
  const mine = settle;
  const request = JSON.parse(line);
  const input = request.content_type === 'binary' ? Buffer.from(request.data, 'base64') : request.data;
  apply(input).then(
    (value) => settle === mine && mine(null, value),
    (reason) => settle === mine && mine({ reason }),
  );
}

/** Answer the request that has waited longest, if there is one and no call runs. */
function next(apply) {
  if (settle) {
    return;
  }
  if (requests.length) {
    serve(apply, requests.shift());
  } else if (hasEnded) {
    exit(0);
  } else {
    waitForInput(true);
  }
}

async function main() {
  Error.stackTraceLimit = TRACE_DEPTH;
  if (fs.existsSync(modules) && !fs.existsSync(path.join(tree, 'node_modules'))) {
    fs.symlinkSync(modules, path.join(tree, 'node_modules'));
  }
  const file = path.join(tree, name);
  process.argv = [process.argv[0], file];
  watchLoading();
  process.on('uncaughtException', (error) => {
    if (isLoading) {
      loadingFailed(error);
    } else if (settle) {
      settle({ reason: error });
    } else {
      console.error(traceOf(error) || error);
    }
  });
  process.on('beforeExit', () => {
    if (isLoading) {
      loadingFailed(new Error('Loading waits for a promise that nothing can fulfil any more'));
    } else if (settle) {
      const error = new Error('apply neither returned a result nor called its callback, and nothing is left that could');
      settle({ reason: error });
    }
  });
  const apply = await bind(entryOf(await exportsOf(file)));
  isLoading = false;
  process.stdin.setEncoding('utf8');
  process.stdin.on('data', (text) => {
    const [first, ...others] = text.split('\n');
    unread.push(first);
    for (const other of others) {
      requests.push(unread.join(''));
      unread = [other];
    }
    next(apply);
  });
  process.stdin.on('end', () => {
    hasEnded = true;
    next(apply);
  });
  write('PIPE_INIT_COMPLETE\n');
}

main().catch(loadingFailed);
