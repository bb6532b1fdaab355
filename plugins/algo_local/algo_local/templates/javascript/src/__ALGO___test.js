const assert = require('node:assert');
const test = require('node:test');
const { apply } = require('./__ALGO__.js');

test('it greets', async () => {
  assert.strictEqual(await apply('Jane'), 'hello Jane');
});
