/* Parse modules of an algorithm without running them: names as JSON on standard input, what is wrong as JSON on standard
 * output. Started with --experimental-vm-modules, in the algorithm's directory. */
'use strict';

const { spawnSync } = require('child_process');
const fs = require('fs');
const path = require('path');
const vm = require('vm');

const PARAMETERS = ['exports', 'require', 'module', '__filename', '__dirname'];
const [major, minor] = process.versions.node.split('.').map(Number);
const DETECTS = major > 22 || (major === 22 && minor >= 7) || (major === 20 && minor >= 19); // modules by their syntax

/** The type that the nearest package.json gives to files that end in .js; empty if it gives none. */
function typeAt(directory) {
  for (; ; directory = path.dirname(directory)) {
    try {
      return JSON.parse(fs.readFileSync(path.join(directory, 'package.json'), 'utf8')).type || '';
    } catch (error) {
      if (directory === '.' || error.code !== 'ENOENT') {
        return '';
      }
    }
  }
}

/** The line of a file that a text begins with; 0 if it names none, as errors of `SourceTextModule` do. */
function lineIn(text, name) {
  const [first] = String(text).split('\n');
  const at = /^(.*):(\d+)$/.exec(first);
  return at && at[1].endsWith(name) ? Number(at[2]) : 0;
}

/** The error of a parser, or null. */
function tried(parse) {
  try {
    parse();
    return null;
  } catch (error) {
    return error;
  }
}

function problem(name) {
  const code = fs.readFileSync(name, 'utf8').replace(/^\uFEFF/, '').replace(/^#!.*/, '');
  const type = name.endsWith('.mjs') ? 'module' : name.endsWith('.cjs') ? 'commonjs' : typeAt(path.dirname(name));
  const asModule = () => tried(() => new vm.SourceTextModule(code, { identifier: name }));
  const asScript = () => tried(() => vm.compileFunction(code, PARAMETERS, { filename: name }));
  let error = type === 'module' ? asModule() : asScript();
  let hint = '';
  if (error && type === '' && asModule() === null) {
    if (DETECTS) {
      return null;
    }
    hint = 'Write "type": "module" into package.json, or rename the file to end in .mjs';
  }
  if (!error) {
    return null;
  }
  const line = lineIn(error.stack, name) || lineIn(spawnSync(process.execPath, ['--check', name]).stderr, name) || 1;
  return { file: name, line, message: error.message, source: code.split('\n')[line - 1] || '', hint };
}

const names = JSON.parse(fs.readFileSync(0, 'utf8'));
process.stdout.write(JSON.stringify(names.map(problem).filter(Boolean)));
