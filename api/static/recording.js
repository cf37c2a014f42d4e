// A recording from a file that somebody dropped: CSV or text, NPY, or raw float32. Read in the browser, never uploaded as it is.

const MAGIC = [0x93, ...new TextEncoder().encode("NUMPY")];
const NUMBERS = {
  "<f4": Float32Array, "<f8": Float64Array, "<i2": Int16Array, "<i4": Int32Array, "<u2": Uint16Array, "|u1": Uint8Array, "|i1": Int8Array,
};

/** Channels `[{name, samples}]` of a file; throws an error that says what was expected. */
export async function readRecording(file) {
  const body = await file.arrayBuffer();
  const start = new Uint8Array(body, 0, Math.min(body.byteLength, MAGIC.length));
  if (MAGIC.every((byte, index) => start[index] === byte)) return readNpy(body);
  if (/\.(csv|tsv|txt)$/i.test(file.name)) return readText(new TextDecoder().decode(body));
  if (body.byteLength === 0 || body.byteLength % 4) {
    throw new Error(`${file.name}: ${body.byteLength} bytes are no float32 (4 bytes a sample); expected .csv, .tsv, .txt, .npy or raw float32`);
  }
  return [{ name: "samples", samples: new Float32Array(body) }];
}

/** Every row of an array of shape (windows, samples) is a channel. */
function readNpy(body) {
  const view = new DataView(body);
  const long = view.getUint8(6) > 1;
  const begin = long ? 12 : 10;
  const end = begin + (long ? view.getUint32(8, true) : view.getUint16(8, true));
  const header = new TextDecoder().decode(body.slice(begin, end));
  const type = /'descr': *'([^']+)'/.exec(header)?.[1];
  const shape = (/'shape': *\(([^)]*)\)/.exec(header)?.[1] ?? "").split(",").filter((part) => part.trim()).map(Number);
  if (!NUMBERS[type] || header.includes("'fortran_order': True") || shape.length < 1 || shape.length > 2) {
    throw new Error(`an array of type ${type} and shape (${shape}); expected numbers of shape (samples) or (windows, samples), in C order`);
  }
  const samples = Float32Array.from(new NUMBERS[type](body.slice(end)));
  const length = shape.at(-1);
  const rows = shape.length === 2 ? shape[0] : 1;
  if (samples.length !== rows * length) throw new Error(`the file is cut off: it holds ${samples.length} numbers of ${rows * length}`);
  return Array.from({ length: rows }, (_, index) => ({ name: `window ${index}`, samples: samples.subarray(index * length, (index + 1) * length) }));
}

/** Columns of numbers; those that are no numbers throughout are left out, a missing number is NaN. */
function readText(text) {
  const lines = text.split(/\r?\n/).filter((line) => line.trim());
  const separator = [";", "\t", ","].find((mark) => lines[0]?.includes(mark)) ?? /\s+/;
  const cut = (line) => line.trim().split(separator).map((cell) => cell.trim().replace(/^"|"$/g, ""));
  const isNumber = (cell) => cell === "" || /^[-+]?nan$/i.test(cell) || Number.isFinite(Number(cell));
  const first = cut(lines[0] ?? "");
  const named = !first.every(isNumber);
  const rows = (named ? lines.slice(1) : lines).map(cut);
  const channels = first.map((title, column) => ({ name: named ? title : `column ${column + 1}`, cells: rows.map((row) => row[column] ?? "") }))
    .filter(({ cells }) => cells.length && cells.every(isNumber) && cells.some((cell) => cell !== ""))
    .map(({ name, cells }) => ({ name, samples: Float32Array.from(cells, (cell) => (cell === "" ? NaN : Number(cell))) }));
  if (!channels.length) throw new Error("no column of numbers was found; expected one sample a line, columns parted by comma, semicolon or tab");
  return channels;
}
