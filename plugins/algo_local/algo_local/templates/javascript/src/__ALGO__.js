// The platform calls apply() once for each request. What arrives as text or JSON is a string, or whatever the JSON says;
// binary input is a Buffer. A string, a Buffer, or anything that JSON can express may be returned, or a promise of it.
// An older form works as well: exports.apply = (input, cb) => cb(error, result).
exports.apply = async (input) => `hello ${input}`;

// To load a model once, before the first request, export a function load that returns it, or a promise of it, and have
// apply take it as a second argument.
