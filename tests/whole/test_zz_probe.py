import time
def test_probe(new_house):
    house = new_house(broker="amqtt")
    t=time.monotonic()
    house.start_all()
    print("START", time.monotonic()-t)
    print(house.log("broker")); print(house.log("main")); print(house.log("server"))
