// An SMSC of npm's `smpp`. Takes commands as lines of JSON, and tells what it saw the same way; see process.py.
'use strict';
const fs = require('fs');
const readline = require('readline');
const smpp = require('smpp');

const BUFFERS = ['message_payload', 'network_error_code', 'short_message'];
let sessions = [];
let ids = 0;
let refuse = 0; // a status for the next binds
let answers = []; // how the next submits are answered: {status} {silent} {wrong} {early}, otherwise with an id

const tell = (event) => process.stdout.write(JSON.stringify(event) + '\n');

function bound(session, mode, pdu) {
  tell({ event: 'bind', mode, system_id: pdu.system_id, password: pdu.password, status: refuse });
  session.send(pdu.response(refuse ? { command_status: refuse } : { system_id: 'node' }));
  if (refuse) return;
  session.mode = mode;
  sessions.push(session);
}

function submitted(session, pdu) {
  const how = answers.length ? answers.shift() : {};
  const text = (value) => (value && value.message !== undefined ? value.message : value);
  const payload = pdu.message_payload ? text(pdu.message_payload) : undefined;
  const said = {
    event: 'submit', source: pdu.source_addr, destination: pdu.destination_addr,
    source_ton: pdu.source_addr_ton, source_npi: pdu.source_addr_npi,
    destination_ton: pdu.dest_addr_ton, destination_npi: pdu.dest_addr_npi,
    coding: pdu.data_coding, esm_class: pdu.esm_class, registered: pdu.registered_delivery,
    text: payload !== undefined ? payload : text(pdu.short_message),
    udh: pdu.short_message && pdu.short_message.udh ? [].concat(...pdu.short_message.udh.map((b) => [...b])) : null,
    sar: pdu.sar_total_segments ? [pdu.sar_msg_ref_num, pdu.sar_total_segments, pdu.sar_segment_seqnum] : null,
    in_payload: payload !== undefined, status: how.status || 0,
  };
  if (Buffer.isBuffer(said.text)) said.text = said.text.toString('latin1');
  if (how.silent) return tell(said);
  const id = how.status ? '' : `n-${++ids}`;
  const answer = pdu.response(how.status ? { command_status: how.status } : { message_id: id });
  tell({ ...said, id });
  if (how.wrong) { // an answer to something that nobody asked, and one twice
    const other = pdu.response({ message_id: 'wrong' });
    other.sequence_number = 0x7ffffff0;
    session.send(other);
    session.send(answer);
  }
  session.send(answer);
}

function serve(session) {
  session.on('error', () => session.destroy());
  session.on('close', () => { sessions = sessions.filter((one) => one !== session); tell({ event: 'closed' }); });
  for (const mode of ['transceiver', 'transmitter', 'receiver']) {
    session.on(`bind_${mode}`, (pdu) => bound(session, mode, pdu));
  }
  session.on('submit_sm', (pdu) => submitted(session, pdu));
  session.on('enquire_link', (pdu) => { tell({ event: 'enquire_link' }); session.send(pdu.response()); });
  session.on('unbind', (pdu) => { tell({ event: 'unbind' }); session.send(pdu.response()); session.close(); });
  session.on('generic_nack', (pdu) => tell({ event: 'nack', status: pdu.command_status }));
}

const tlsFile = process.argv[2];
const options = tlsFile ? { key: fs.readFileSync(tlsFile), cert: fs.readFileSync(tlsFile) } : {};
const server = smpp.createServer(options, serve);
server.listen(Number(process.argv[3] || 0), '127.0.0.1', () => tell({ event: 'listening', port: server.address().port }));

const receivers = () => sessions.filter((one) => one.mode !== 'transmitter');

function deliver(command, fields, tag, session) {
  if (!session) return; // nobody is bound
  for (const name of BUFFERS) if (typeof fields[name] === 'string') fields[name] = Buffer.from(fields[name], 'hex');
  session[command](fields, (pdu) => tell({ event: 'answered', tag, status: pdu.command_status, name: pdu.command }));
}

const doing = {
  deliver: ({ fields, tag, command, at }) => deliver(command || 'deliver_sm', fields, tag, receivers()[at || 0]),
  flood: ({ fields, count }) => {
    for (let n = 0; n < count; n++) {
      const one = { ...fields, short_message: Buffer.from(`${n}`).toString('hex') };
      deliver('deliver_sm', one, n, receivers()[n % receivers().length]);
    }
  },
  raw: ({ hex, piece }) => { // octets, a few at a time
    const all = Buffer.from(hex, 'hex');
    const socket = receivers()[0].socket;
    socket.setNoDelay(true);
    const step = (at) => { if (at < all.length) socket.write(all.subarray(at, at + piece), () => setImmediate(step, at + piece)); };
    step(0);
  },
  answer: ({ how }) => { answers = how; },
  refuse: ({ status }) => { refuse = status; },
  unbind: () => sessions.forEach((one) => one.unbind((pdu) => { tell({ event: 'unbound' }); one.close(); })),
  enquire: () => sessions.forEach((one) => one.enquire_link((pdu) => tell({ event: 'alive', status: pdu.command_status }))),
  drop: () => sessions.slice().forEach((one) => one.destroy()),
};
readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const command = JSON.parse(line);
  doing[command.do](command);
  tell({ event: 'did' });
}).on('close', () => process.exit(0));
