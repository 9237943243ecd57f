// PNG files, tars and zips for tests, made of nothing but node's zlib, so that
// they can also be what no tool would make.
import { deflateSync } from 'node:zlib';

const table = Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n >>> 0;
});

/** @param {Uint8Array} bytes */
export function crc32Of(bytes) {
  let c = 0xffffffff;
  for (const b of bytes) c = table[(c ^ b) & 255] ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}

/** @param {string} type @param {Buffer} data */
function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type), data]);
  const ends = Buffer.alloc(8);
  ends.writeUInt32BE(data.length, 0);
  ends.writeUInt32BE(crc32Of(body), 4);
  return Buffer.concat([ends.subarray(0, 4), body, ends.subarray(4)]);
}

/** @param {number} width @param {number} height @param {Buffer} rgb */
export function pngOf(width, height, rgb) {
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 2], 8);
  const rows = Buffer.alloc((3 * width + 1) * height);
  for (let y = 0; y < height; y++) rgb.copy(rows, y * (3 * width + 1) + 1, y * 3 * width, (y + 1) * 3 * width);
  return Buffer.concat([Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]), chunk('IHDR', head), chunk('IDAT', deflateSync(rows)), chunk('IEND', Buffer.alloc(0))]);
}

/** A tar of the ustar kind. `type`: '0' a file, '1' hard link, '2' link, ...;
 * `size` may lie.
 * @param {{name: string, bytes?: Buffer, type?: string, link?: string, size?: number}[]} entries */
export function tarOf(entries) {
  const parts = [];
  for (const { name, bytes = Buffer.alloc(0), type = '0', link = '', size = bytes.length } of entries) {
    const head = Buffer.alloc(512);
    head.write(name, 0, 100);
    head.write('0000644\0' + '0000000\0' + '0000000\0', 100);
    head.write(`${size.toString(8).padStart(11, '0')}\0` + '00000000000\0' + ' '.repeat(8) + type, 124);
    head.write(link, 157, 100);
    head.write('ustar\0' + '00', 257);
    head.write(`${head.reduce((a, b) => a + b, 0).toString(8).padStart(6, '0')}\0 `, 148);
    parts.push(head, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512));
  }
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

/** A zip of stored files. @param {[string, Buffer][]} files */
export function zipOf(files) {
  const local = [];
  const central = [];
  let at = 0;
  for (const [name, bytes] of files) {
    const rest = Buffer.alloc(26); // version to the extra field's length
    rest.writeUInt16LE(20, 0);
    rest.writeUInt32LE(crc32Of(bytes), 10);
    rest.writeUInt32LE(bytes.length, 14);
    rest.writeUInt32LE(bytes.length, 18);
    rest.writeUInt16LE(Buffer.byteLength(name), 22);
    const place = Buffer.alloc(14);
    place.writeUInt32LE(at, 10);
    local.push(Buffer.from('PK\x03\x04'), rest, Buffer.from(name), bytes);
    central.push(Buffer.from('PK\x01\x02'), Buffer.from([20, 0]), rest, place, Buffer.from(name));
    at += 30 + Buffer.byteLength(name) + bytes.length;
  }
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 0, 'latin1');
  end.writeUInt16LE(files.length, 8);
  end.writeUInt16LE(files.length, 10);
  end.writeUInt32LE(Buffer.concat(central).length, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...local, ...central, end]);
}
