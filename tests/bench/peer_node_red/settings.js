// Node-RED as it ships, but for its editor, which is not needed, and for the port, which must be free.
module.exports = {
    uiHost: "127.0.0.1",
    uiPort: Number(process.env.PEER_UI_PORT),
    httpAdminRoot: false,
    httpNodeRoot: false,
    flowFile: "flows.json",
    telemetry: { enabled: false },
};
