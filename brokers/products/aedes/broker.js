// An MQTT broker over TLS with the settings of the JSON file named on the command line.
'use strict';
const fs = require('fs');
const tls = require('tls');
const aedes = require('aedes')();

const { port, cert, key, ca, ...settings } = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
const options = {
  ...settings,
  cert: fs.readFileSync(cert),
  key: fs.readFileSync(key),
  ca: fs.readFileSync(ca),
};
const server = tls.createServer(options, aedes.handle);
server.on('tlsClientError', (error) => console.log(`tls: ${error.code} ${error.message}`));
aedes.on('clientError', (client, error) => console.log(`mqtt: ${client.id}: ${error.message}`));
aedes.on('clientReady', (client) => console.log(`mqtt: ${client.id} connected`));
server.listen(port, '127.0.0.1', () => console.log(`listening on ${port}`));
