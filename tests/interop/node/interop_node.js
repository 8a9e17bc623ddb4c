// SPDX-License-Identifier: Apache-2.0
// gRPC's interop service and the plain cases of its client, in JavaScript (@grpc/grpc-js):
//   node interop_node.js server PORT               prints "ready" when it listens; ends with its standard input
//   node interop_node.js client HOST:PORT CASE...  prints {"case": ..., "ok": ..., "why": ...} for each
// NODE_PATH names the folder with the packages.
'use strict';

const assert = require('assert');
const path = require('path');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const proto = grpc.loadPackageDefinition(
    loader.loadSync(path.join(__dirname, '..', 'interop.proto'), { keepCase: true, defaults: true })).grpc.testing;

const ECHO_INITIAL = 'x-grpc-test-echo-initial';
const ECHO_TRAILING = 'x-grpc-test-echo-trailing-bin';
const LARGE_REQUEST = 271828;
const LARGE_RESPONSE = 314159;
const REQUEST_SIZES = [27182, 8, 1828, 45904];
const RESPONSE_SIZES = [31415, 9, 2653, 58979];
const SPECIAL_MESSAGE = '\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \u{1f608}\t\n';
const LIMIT = 60000; // ms: only to end a hang
const SOAK_ROUNDS = 20;

const payload = (size) => ({ body: Buffer.alloc(size) });

// ---- server ----

function echoTrailers(call) {
    const initial = call.metadata.get(ECHO_INITIAL);
    if (initial.length) {
        const metadata = new grpc.Metadata();
        metadata.set(ECHO_INITIAL, initial[0]);
        call.sendMetadata(metadata);
    }
    const trailers = new grpc.Metadata();
    const trailing = call.metadata.get(ECHO_TRAILING);
    if (trailing.length) {
        trailers.set(ECHO_TRAILING, trailing[0]);
    }
    return trailers;
}

const endsAsAsked = (request) => request.response_status && request.response_status.code !== 0;

async function sendOutputs(call, request) {
    for (const { size, interval_us } of request.response_parameters) {
        await new Promise((resolve) => setTimeout(resolve, interval_us / 1000));
        call.write({ payload: payload(size) });
    }
}

const implementation = {
    EmptyCall(call, reply) {
        reply(null, {}, echoTrailers(call));
    },
    UnaryCall(call, reply) {
        const trailers = echoTrailers(call);
        if (endsAsAsked(call.request)) {
            const { code, message } = call.request.response_status;
            reply({ code, details: message, metadata: trailers });
        } else {
            reply(null, { payload: payload(call.request.response_size) }, trailers);
        }
    },
    async StreamingOutputCall(call) {
        await sendOutputs(call, call.request);
        call.end();
    },
    StreamingInputCall(call, reply) {
        let total = 0;
        call.on('data', (request) => { total += request.payload.body.length; });
        call.on('end', () => reply(null, { aggregated_payload_size: total }));
        call.on('error', () => {});
    },
    FullDuplexCall(call) {
        const trailers = echoTrailers(call);
        let work = Promise.resolve();
        let failed = false;
        call.on('data', (request) => {
            if (endsAsAsked(request) && !failed) {
                failed = true;
                const { code, message } = request.response_status;
                call.emit('error', { code, details: message, metadata: trailers });
            } else {
                work = work.then(() => sendOutputs(call, request));
            }
        });
        call.on('end', () => work.then(() => failed || call.end(trailers)));
    },
};

function serve(port) {
    const server = new grpc.Server();
    server.addService(proto.TestService.service, implementation);
    server.bindAsync(`0.0.0.0:${port}`, grpc.ServerCredentials.createInsecure(), (error) => {
        if (error) {
            console.error(error.message);
            process.exit(1);
        }
        console.log('ready');
    });
    process.stdin.resume();
    process.stdin.on('end', () => process.exit(0));
}

// ---- client ----

let target;
const open = () => new proto.TestService(target, grpc.credentials.createInsecure(),
    { 'grpc.enable_http_proxy': 0, 'grpc.use_local_subchannel_pool': 1 });
const deadline = (ms = LIMIT) => ({ deadline: Date.now() + ms });

// The outcome of a call, whatever its kind: {status, messages, initial}.
function outcome(call, messages = []) {
    return new Promise((resolve) => {
        let initial;
        call.on('metadata', (metadata) => { initial = metadata; });
        call.on('data', (message) => messages.push(message));
        call.on('error', () => {});
        call.on('status', (status) => resolve({ status, messages, initial }));
    });
}

async function unary(client, method, request, metadata = new grpc.Metadata()) {
    const messages = [];
    const call = client[method](request, metadata, deadline(), (error, reply) => { messages.push(reply); });
    return outcome(call, messages);
}

function checkStatus(result, code, message) {
    assert.strictEqual(result.status.code, code, `${result.status.code} ${result.status.details}`);
    if (message !== undefined) {
        assert.strictEqual(result.status.details, message);
    }
}

const sizes = (messages) => messages.map((m) => m.payload.body.length);

async function largeUnary(client) {
    const result = await unary(client, 'UnaryCall', { response_size: LARGE_RESPONSE, payload: payload(LARGE_REQUEST) });
    checkStatus(result, grpc.status.OK);
    assert.deepStrictEqual(sizes(result.messages), [LARGE_RESPONSE]);
}

const duplexRequest = (response, request) => ({ response_parameters: [{ size: response }], payload: payload(request) });

const cases = {
    async empty_unary(client) {
        checkStatus(await unary(client, 'EmptyCall', {}), grpc.status.OK);
    },
    large_unary: largeUnary,
    async client_streaming(client) {
        const messages = [];
        const call = client.StreamingInputCall(deadline(), (error, reply) => { messages.push(reply); });
        const result = outcome(call, messages);
        REQUEST_SIZES.forEach((size) => call.write({ payload: payload(size) }));
        call.end();
        checkStatus(await result, grpc.status.OK);
        assert.strictEqual(messages[0].aggregated_payload_size, REQUEST_SIZES.reduce((a, b) => a + b));
    },
    async server_streaming(client) {
        const call = client.StreamingOutputCall({ response_parameters: RESPONSE_SIZES.map((size) => ({ size })) }, deadline());
        const result = await outcome(call);
        checkStatus(result, grpc.status.OK);
        assert.deepStrictEqual(sizes(result.messages), RESPONSE_SIZES);
    },
    async ping_pong(client) {
        const call = client.FullDuplexCall(deadline());
        const sent = REQUEST_SIZES.map((size, i) => duplexRequest(RESPONSE_SIZES[i], size));
        const result = outcome(call);
        let next = 0;
        const send = () => (next < sent.length ? call.write(sent[next++]) : call.end());
        call.on('data', send);
        send();
        const { status, messages } = await result;
        checkStatus({ status }, grpc.status.OK);
        assert.deepStrictEqual(sizes(messages), RESPONSE_SIZES);
    },
    async empty_stream(client) {
        const call = client.FullDuplexCall(deadline());
        call.end();
        const result = await outcome(call);
        checkStatus(result, grpc.status.OK);
        assert.strictEqual(result.messages.length, 0);
    },
    async cancel_after_begin(client) {
        const call = client.StreamingInputCall(deadline(), () => {});
        const result = outcome(call);
        call.cancel();
        checkStatus(await result, grpc.status.CANCELLED);
    },
    async cancel_after_first_response(client) {
        const call = client.FullDuplexCall(deadline());
        const result = outcome(call);
        call.once('data', () => call.cancel());
        call.write(duplexRequest(RESPONSE_SIZES[0], REQUEST_SIZES[0]));
        checkStatus(await result, grpc.status.CANCELLED);
    },
    async timeout_on_sleeping_server(client) {
        const call = client.FullDuplexCall(deadline(1));
        call.write({ payload: payload(REQUEST_SIZES[0]) });
        checkStatus(await outcome(call), grpc.status.DEADLINE_EXCEEDED);
    },
    async status_code_and_message(client) {
        const response_status = { code: 2, message: 'test status message' };
        checkStatus(await unary(client, 'UnaryCall', { response_status }), 2, response_status.message);
        const call = client.FullDuplexCall(deadline());
        call.write({ response_status });
        call.end();
        checkStatus(await outcome(call), 2, response_status.message);
    },
    async special_status_message(client) {
        const response_status = { code: 2, message: SPECIAL_MESSAGE };
        checkStatus(await unary(client, 'UnaryCall', { response_status }), 2, SPECIAL_MESSAGE);
    },
    async unimplemented_method(client) {
        checkStatus(await unary(client, 'UnimplementedCall', {}), grpc.status.UNIMPLEMENTED);
    },
    async unimplemented_service() {
        const other = new proto.UnimplementedService(target, grpc.credentials.createInsecure());
        checkStatus(await unary(other, 'UnimplementedCall', {}), grpc.status.UNIMPLEMENTED);
        other.close();
    },
    async custom_metadata(client) {
        const metadata = new grpc.Metadata();
        metadata.set(ECHO_INITIAL, 'test_initial_metadata_value');
        metadata.set(ECHO_TRAILING, Buffer.from('ababab', 'hex'));
        const request = { response_size: LARGE_RESPONSE, payload: payload(LARGE_REQUEST) };
        const call = client.FullDuplexCall(metadata, deadline());
        const duplex = outcome(call);
        call.write(duplexRequest(LARGE_RESPONSE, LARGE_REQUEST));
        call.end();
        for (const result of [await unary(client, 'UnaryCall', request, metadata), await duplex]) {
            checkStatus(result, grpc.status.OK);
            assert.deepStrictEqual(result.initial.get(ECHO_INITIAL), ['test_initial_metadata_value']);
            assert.deepStrictEqual(result.status.metadata.get(ECHO_TRAILING), [Buffer.from('ababab', 'hex')]);
        }
    },
    async rpc_soak(client) {
        for (let i = 0; i < SOAK_ROUNDS; i++) {
            await largeUnary(client);
        }
    },
    async channel_soak() {
        for (let i = 0; i < SOAK_ROUNDS; i++) {
            const client = open();
            await largeUnary(client);
            client.close();
        }
    },
};

async function runCases(names) {
    const client = open();
    for (const name of names) {
        let why = '';
        try {
            await cases[name](client);
        } catch (error) {
            why = String(error);
        }
        console.log(JSON.stringify({ case: name, ok: !why, why }));
    }
    client.close();
    process.exit(0); // grpc-js may leave a deadline's timer behind, with or without a proxy
}

if (process.argv[2] === 'server') {
    serve(process.argv[3]);
} else {
    target = process.argv[3];
    runCases(process.argv.slice(4));
}
