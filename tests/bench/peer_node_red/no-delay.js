// Preloaded where TCP_NODELAY is to be set: Node-RED has no setting for it.
const net = require("net");
const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...words) {
    this.setNoDelay(true);
    return connect.apply(this, words);
};
